"""Hardening: attacks on the rewards, whose finds become negatives of the next fit."""
