"""MusicGen in this process: official weights, graphs of our own, ONNX Runtime; no torch.

``checkpoint`` reads what was published, ``conversion`` makes ``graphs`` of it once, ``sessions`` and ``engine`` run
them,
``backend`` is what the generator sees.
"""
