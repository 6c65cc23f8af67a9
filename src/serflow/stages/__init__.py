"""What the rules run: one module a rule, ``python -m serflow.stages.<rule>``."""

import gc
import sys

# so it is named while `python -m` looks for the stage: until `run_stage` has it, no pass of the garbage collector looks
# for rubbish among what the imports make, of which there is none
if sys.argv[0] == "-m":
    gc.disable()
