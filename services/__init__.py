"""The station's processes, one package each. A service never imports another."""
