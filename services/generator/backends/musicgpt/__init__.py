"""MusicGPT, a program of its own that runs MusicGen: found, asked, watched, and ended."""
