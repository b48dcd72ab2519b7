"""The adapters: S3 and EventBridge behind the ports of the core, and the same ports in memory."""
