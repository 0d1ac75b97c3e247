"""Measurements that are no runs of cells."""
