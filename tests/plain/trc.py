"""A strict reader of TRC marker files: what OpenSim's documentation of "Marker (.trc) Files" asks for, each rule an assertion."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

REQUIRED = {
    "DataRate", "CameraRate", "NumFrames", "NumMarkers", "Units", "OrigDataRate", "OrigDataStartFrame", "OrigNumFrames"
}  # fmt: skip
UNITS = {"m": 1.0, "mm": 1e-3, "cm": 1e-2}


@dataclass
class Markers:
    """names; seconds (T,); points (T, M, 3) metres; rate in Hz."""

    names: list[str]
    seconds: np.ndarray
    points: np.ndarray
    rate: float


def read(path: Path) -> Markers:
    text = path.read_bytes().decode("ascii")
    assert "\r" not in text
    assert text.endswith("\n")
    rows = [line.split("\t") for line in text[:-1].split("\n")]
    assert rows[0] == ["PathFileType", "4", "(X/Y/Z)", path.name]
    keys, values = rows[1], rows[2]
    assert len(keys) == len(values) == len(set(keys))
    header = dict(zip(keys, values, strict=True))
    assert set(header) >= REQUIRED
    frames, count, start = (int(header[key]) for key in ("NumFrames", "NumMarkers", "OrigDataStartFrame"))
    rate, unit = float(header["DataRate"]), UNITS[header["Units"]]
    assert frames > 0
    assert count > 0
    assert rate > 0
    assert int(header["OrigNumFrames"]) >= frames

    labels, axes = rows[3], rows[4]
    assert labels[:2] == ["Frame#", "Time"]
    assert len(labels) == len(axes) == 2 + 3 * count
    names = labels[2::3]
    assert all(names)
    assert len(set(names)) == count
    assert not any(labels[3::3])
    assert not any(labels[4::3])
    assert axes[:2] == ["", ""]
    assert axes[2:] == [f"{axis}{m}" for m in range(1, count + 1) for axis in "XYZ"]
    assert rows[5] == [""]

    data = rows[6:]
    assert len(data) == frames
    assert all(len(row) == 2 + 3 * count for row in data)
    assert [int(row[0]) for row in data] == list(range(start, start + frames))
    table = np.array([row[1:] for row in data], float)
    assert np.isfinite(table).all()
    seconds = table[:, 0]
    np.testing.assert_allclose(seconds, np.arange(frames) / rate, atol=2e-5 + 1e-5 * seconds[-1])
    return Markers(names, seconds, unit * table[:, 1:].reshape(frames, count, 3), rate)
