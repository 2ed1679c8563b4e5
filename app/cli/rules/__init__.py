"""The commands of `./sentinel rule`, one file each."""
