"""Papers and their claims: facts in our own words, one record a paper."""
