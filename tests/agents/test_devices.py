import pytest
import torch

from toccata.agents.devices import has_bfloat16, resolve_device, resolve_reward_device
from toccata.settings.options import ConfigError


def test_devices_by_name() -> None:
    assert resolve_device("cpu") == torch.device("cpu")
    assert resolve_device("cpu:0") == torch.device("cpu:0")
    assert resolve_device("auto").type in ("cpu", "cuda")


WRONG = [
    "cpu:99",
    "cpu:1",
    "cpu:-1",
    "cpu:",
    "cuda:-1",
    "cuda:x",
    "cuda:257",
    "cuda:99",
    "cuda:9999999999999",
    "cuda:١",
    "meta",
    "mps",
    "xla",
    "CPU",
]


@pytest.mark.parametrize("name", [*WRONG, "", "cpu\n", 3, None])
def test_other_devices_are_refused(name: object) -> None:
    with pytest.raises(ConfigError, match=r"^device .*(cuda:N or auto, got|CUDA devices here)"):
        resolve_device(name)  # type: ignore[arg-type]


def test_rewards_are_where_the_agent_is_unless_another_device_is_named() -> None:
    assert resolve_reward_device("auto", torch.device("cuda:3")) == torch.device("cuda:3")
    assert resolve_reward_device("cpu", torch.device("cuda:3")) == torch.device("cpu")


def test_bfloat16_needs_instructions_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    for capabilities, expected in (({}, False), ({"avx2": True, "amx_bf16": False}, False), ({"amx_bf16": True}, True)):
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda found=capabilities: found, raising=False)
        assert has_bfloat16(torch.device("cpu")) is expected
    monkeypatch.delattr(torch.cpu, "get_capabilities")
    assert not has_bfloat16(torch.device("cpu"))
