"""What transformers makes of the checkpoints in ``musicgen_checkpoint.CASES``: the truth that the engine is held to.

    python -m tests.golden.make_musicgen            writes tests/golden/musicgen/*.npz
    python -m tests.golden.make_musicgen --check    makes them anew and compares

Needs torch and transformers (``pip install torch transformers``); the tests that read the files do not.
"""

from __future__ import annotations

import argparse
import logging
import sys
import tempfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tests.golden.musicgen_checkpoint import CASES, Plan, write_checkpoint

HERE = Path(__file__).parent / "musicgen"
FRAMES = 200
HEARD = 12
EVERY = 20
"""Logits are kept of each twentieth step, greedy codes of all."""
IDS = [5, 9, 14, 3, 22, 31, 7, 60, 1]
Golden = dict[str, NDArray[np.generic]]


def make(folder: Path, plan: Plan) -> Golden:
    """The outputs of one checkpoint."""
    import torch
    from transformers import MusicgenForConditionalGeneration

    logging.getLogger("transformers").setLevel(logging.ERROR)
    model, report = MusicgenForConditionalGeneration.from_pretrained(
        folder, dtype=torch.float32, output_loading_info=True, attn_implementation="eager"
    )
    model.eval()
    unneeded = ("audio_encoder.encoder.", "audio_encoder.quantizer.")
    missing = [name for name in report["missing_keys"] if not name.startswith(unneeded)]
    if missing or report["unexpected_keys"] or any(".embed" in name[-6:] for name in report["missing_keys"]):
        raise SystemExit(f"not the true structure: {missing} missing, {report['unexpected_keys']} unexpected")
    random = np.random.RandomState(plan.seed + 100)
    codes = random.randint(plan.vocabulary, size=(1, plan.codebooks, FRAMES))
    with torch.no_grad():
        states = model.text_encoder(torch.tensor([IDS])).last_hidden_state
        # As generate() prepares it: room for all frames, the last of them still to come.
        start = torch.full((plan.codebooks, 1), plan.vocabulary)
        prompt = torch.cat([start, torch.tensor(codes[0, :, :-1])], dim=1)
        delays = plan.codebooks // plan.channels
        inputs, pattern = model.decoder.build_delay_pattern_mask(prompt, plan.vocabulary, FRAMES + delays)
        logits = model(
            encoder_outputs=(torch.cat([states, torch.zeros_like(states)]),),
            attention_mask=torch.tensor([[1] * len(IDS), [0] * len(IDS)]),
            decoder_input_ids=torch.cat([inputs, inputs]),
        ).logits.numpy()
        channels = [
            model.audio_encoder.decode(torch.tensor(codes[None, :, side :: plan.channels, :HEARD]), [None]).audio_values
            for side in range(plan.channels)
        ]
    logits = logits.reshape(2, plan.codebooks, -1, plan.vocabulary)
    guided = logits[1] + np.float32(3.0) * (logits[0] - logits[1])
    best = np.sort(guided, axis=-1)
    return {
        "codes": codes.astype(np.int16),
        "states": states.numpy(),
        "inputs": inputs.numpy().astype(np.int16),
        "pattern": pattern.numpy().astype(np.int16),
        "logits": np.ascontiguousarray(logits[:, :, ::EVERY]),
        "greedy": guided.argmax(axis=-1).astype(np.int16),
        "clear": (best[..., -1] - best[..., -2]) > 1e-3,
        "audio": np.concatenate([audio.numpy()[0] for audio in channels]),
    }


def main() -> None:
    """Write the files, or compare with them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true")
    arguments = parser.parse_args()
    HERE.mkdir(exist_ok=True)
    worst = 0.0
    for name, plan in CASES.items():
        with tempfile.TemporaryDirectory() as folder:
            golden = make(write_checkpoint(Path(folder), plan), plan)
        path = HERE / f"{name}.npz"
        if not arguments.check:
            np.savez_compressed(path, **golden)
            continue
        with np.load(path) as kept:
            for key, value in golden.items():
                worst = max(worst, float(np.abs(kept[key].astype(np.float64) - value.astype(np.float64)).max()))
    if arguments.check:
        sys.stdout.write(f"largest difference {worst:.2e}\n")
        sys.exit(worst > 1e-5)


if __name__ == "__main__":
    main()
