"""The source documents, reproduced and taken further: one folder, script and page each."""
