"""The three graphs of a MusicGen model, built from a checkpoint's tensors: prompt, decoder, codec."""
