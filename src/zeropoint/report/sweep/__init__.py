"""The error of a layer and of the network against the scale of one tensor."""
