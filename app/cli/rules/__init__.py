"""The commands of `./sentinel rule`, a file each."""
