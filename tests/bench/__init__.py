"""How fast the gate and the engine are, beside what others offer, in the same run on the same machine."""
