"""PyMusicLooper's best loop of one file, for ``benchmarks/loops.py``; run in an environment of its own.

python pymusiclooper_worker.py FILE MIN_LOOP_SECONDS REPEAT
"""

from __future__ import annotations

import json
import sys
import time

from pymusiclooper.core import MusicLooper


def main() -> None:
    path, least, repeat = sys.argv[1], float(sys.argv[2]), int(sys.argv[3])
    laps = []
    for _ in range(repeat + 1):
        began = time.process_time()
        pair = MusicLooper(path).find_loop_pairs(min_loop_duration=least)[0]
        laps.append(time.process_time() - began)
    answer = {"start": int(pair.loop_start), "end": int(pair.loop_end), "warm_cpu_s": min(laps)}
    print(json.dumps(answer))


if __name__ == "__main__":
    main()
