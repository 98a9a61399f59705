"""Graph, Plan -> Graph: what makes up for the rounding of weights; one file a method."""
