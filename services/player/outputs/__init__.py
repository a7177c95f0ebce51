"""Where sound goes: one file for each kind of output, all under one contract (``output.Output``)."""
