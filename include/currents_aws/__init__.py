"""The adapters: S3 and EventBridge as the ports of the core, and the same ports in memory."""
