"""Run a command and say on the last line of its output how much memory its process had at most, in KiB.

``python -S benchmarks/_peak.py COMMAND ...`` prints two numbers: the peak of all resident memory, which the kernel
keeps, and that of anonymous memory, looked at every 2 ms. Files that are mapped count in the first alone: the system
takes their pages back when it needs them. What starts the command is as small as a Python process can be, for the
kernel counts it as part of the command's own peak.
"""

import os
import sys
import time

EVERY_S = 0.002


def anonymous_kib(status: int) -> int:
    """Return the anonymous memory, shared memory included, of a process whose ``/proc/PID/status`` is open."""
    lines = os.pread(status, 8192, 0).splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith((b"RssAnon:", b"RssShmem:")))


def main() -> None:
    child = os.posix_spawnp(sys.argv[1], sys.argv[1:], os.environ)
    status = os.open(f"/proc/{child}/status", os.O_RDONLY)
    anonymous = 0
    while True:
        # it has ended where there is nothing left to read
        anonymous = max(anonymous, anonymous_kib(status))
        ended, code, usage = os.wait4(child, os.WNOHANG)
        if ended:
            break
        time.sleep(EVERY_S)
    print(usage.ru_maxrss, anonymous, flush=True)
    sys.exit(os.waitstatus_to_exitcode(code))


if __name__ == "__main__":
    main()
