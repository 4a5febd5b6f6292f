#!/usr/bin/env bash
# Installs the FluidSynth library, the synthesizer behind every sound, unless PYTHON ($1) already finds it.
set -euo pipefail
python=$1

found() {
    "$python" -c 'import fluidsynth' >/dev/null 2>&1
}

found && exit 0
echo "sound: libfluidsynth is missing, installing it"
if command -v brew >/dev/null; then
    brew install fluid-synth || true
elif command -v apt-get >/dev/null; then
    root=()
    [ "$(id -u)" -eq 0 ] || root=(sudo)
    "${root[@]}" apt-get update -qq || true  # a fresh image has no package lists; one mirror down is no reason to stop
    "${root[@]}" apt-get install -qq -y --no-install-recommends libfluidsynth3 </dev/null || true
fi
found && exit 0
cat >&2 <<'MESSAGE'
sound: libfluidsynth could not be installed. Install it by hand, then run make again:
    Debian, Ubuntu   apt-get install libfluidsynth3
    Fedora           dnf install fluidsynth-libs
    Arch             pacman -S fluidsynth
    macOS            brew install fluid-synth, and have your shell run: eval "$(brew shellenv)"
MESSAGE
exit 1
