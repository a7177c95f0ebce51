"""What a listener's tools hear in the composer's clips: tempo by a beat tracker, key by correlation.

    python benchmarks/composer_heard.py [--seeds 2] [--style lo-fi]

One JSON object per style with drums, then the shares over all of them. A tempo is right at ½, 1 or 2 times the written
one (in compound metres also at the dotted quarter) within 3 %. The key is ranked among 24 by Krumhansl's profiles.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import click
import librosa
import numpy as np
from numpy.typing import NDArray

from benchmarks.composer_sound import at_hand, piece
from services.generator.backends.composer.score import Score
from services.generator.backends.composer.sound import render_piece
from services.generator.backends.composer.style import builtin
from services.generator.backends.composer.theory import is_minor

RATE = 22_050
# Krumhansl & Kessler 1982, the probe-tone ratings of major and minor.
MAJOR = np.array([6.35, 2.23, 3.48, 2.33, 4.38, 4.09, 2.52, 5.19, 2.39, 3.66, 2.29, 2.88])
MINOR = np.array([6.33, 2.68, 3.52, 5.38, 2.60, 3.53, 2.54, 4.75, 3.98, 2.69, 3.34, 3.17])


def heard_tempo(audio: NDArray[np.float32]) -> float:
    tempo, _ = librosa.beat.beat_track(y=np.concatenate([audio, audio]), sr=RATE)
    return float(np.atleast_1d(tempo)[0])


def tempo_is_right(heard: float, score: Score) -> bool:
    factors = [0.5, 1.0, 2.0]
    if score.meter.unit == 8 and score.meter.beats % 3 == 0:
        factors += [1 / 3, 2 / 3, 4 / 3]
    return any(abs(heard / (score.bpm * factor) - 1) <= 0.03 for factor in factors)


def key_rank(audio: NDArray[np.float32], score: Score) -> int:
    """1 if the written key is what the chroma of the clip resembles most."""
    chroma = librosa.feature.chroma_cqt(y=librosa.effects.harmonic(audio), sr=RATE, hop_length=2048).mean(axis=1)
    found = {
        (tonic, minor): float(np.corrcoef(np.roll(profile, tonic), chroma)[0, 1])
        for tonic in range(12)
        for minor, profile in ((False, MAJOR), (True, MINOR))
    }
    order = sorted(found, key=lambda key: -found[key])
    return order.index((score.tonic, is_minor(score.mode))) + 1


@click.command()
@click.option("--seeds", default=2, show_default=True)
@click.option("--style", "chosen", multiple=True)
def main(seeds: int, chosen: tuple[str, ...]) -> None:
    """Listen to the composer with a beat tracker and a key finder."""
    tempo_right: list[bool] = []
    key_near: list[bool] = []
    for key in chosen or tuple(builtin()):
        style = at_hand()[key]
        right, ranks, heard = [], [], []
        for seed in range(seeds):
            score = piece(key, seed, 20.0)
            audio = librosa.resample(render_piece(score, 44_100).samples.mean(axis=1), orig_sr=44_100, target_sr=RATE)
            if style.data.drums is not None:
                heard.append((round(heard_tempo(audio), 1), score.bpm))
                right.append(tempo_is_right(heard[-1][0], score))
            if style.data.layers:
                ranks.append(key_rank(audio, score))
        tempo_right += right
        key_near += [rank <= 3 for rank in ranks]
        print(json.dumps({"style": key, "tempo_right": right, "heard": heard, "key_ranks": ranks}), flush=True)
    print(
        json.dumps(
            {
                "tempo_right_share": round(float(np.mean(tempo_right)), 3) if tempo_right else None,
                "key_top3_share": round(float(np.mean(key_near)), 3) if key_near else None,
                "clips": len(key_near),
            }
        )
    )


if __name__ == "__main__":
    main()
