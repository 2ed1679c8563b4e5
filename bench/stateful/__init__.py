"""Rules with memory, measured: `./sentinel bench stateful`."""
