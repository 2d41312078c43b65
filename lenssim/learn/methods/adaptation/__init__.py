"""Adaptation of a network to images of another kind, without their labels; a method a file."""
