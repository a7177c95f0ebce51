"""MusicGen in this process: official weights, graphs of our own, ONNX Runtime; no torch.

``checkpoint`` reads what was published, ``conversion`` makes ``graphs`` of it once, ``decoder`` and ``codec_stream``
run them, ``engine`` writes music with both, ``backend`` is what the generator sees.
"""
