"""One module per paper: the user's own job, under the paper's slug."""
