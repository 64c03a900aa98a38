"""Methods that change what a policy learns from its rollouts."""
