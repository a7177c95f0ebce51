"""Which output the station plays to, and the sentence that says so."""

from __future__ import annotations

from services.player.outputs.null import NullOutput
from services.player.outputs.output import Output


def open_output(driver: str, device: str, latency_s: float, *, fresh: bool = False) -> Output:
    """The output that this driver means; raises ``OutputError`` where it cannot be had."""
    if driver == "null":
        return NullOutput(description="no sound device, as asked for")
    from services.player.outputs.device import DeviceOutput

    return DeviceOutput(driver, device, latency_s, fresh=fresh)


def sentence(output: Output, asked: str, trouble: str) -> str:
    """For the listener: what the station plays to, why, and how to get another."""
    if trouble:
        return f"Playing to the live stream only. {trouble} It is taken up when it comes."
    if output.driver == "null":
        return "Playing to the live stream only, as the driver null asks; set driver auto for the sound device."
    why = "the first that works" if asked == "auto" else "as the settings ask"
    return f"Playing to {output.description}, {why}; set driver or output_device for another."
