"""The playbook, applied to a tree, over SSH, or inside the machine."""
