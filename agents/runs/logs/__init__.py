"""Where a run's logged values go: TensorBoard, Weights & Biases, Trackio; sound and pictures of pieces."""
