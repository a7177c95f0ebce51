"""The embedded composer: music written by rules and played by our own synthesis. No model, no download, no network."""
