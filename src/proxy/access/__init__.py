"""Who calls: keys, issued and looked up."""
