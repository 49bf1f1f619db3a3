"""The other side of benchmarks/analysis.py: reads a path a line, answers a JSON object a line.

Run by an interpreter that has essentia-tensorflow and onnxruntime:

    python benchmarks/essentia_side.py plain|tensorflow MODELS [FROZEN]

* `plain`: MonoLoader (16 kHz, resampleQuality 4), TensorflowInputMusiCNN frame by frame, the whole ONNX network in
  onnxruntime, patch by patch. (The chain Windowing, Spectrum, MelBands gives the same frames and is slower.)
* `tensorflow`: MonoLoader, TensorflowPredictMusiCNN on the frozen graph.

Both then run the nine heads in onnxruntime, one by one. Everything has one thread.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from pathlib import Path

import essentia
import essentia.standard as es
import numpy as np
import onnxruntime

essentia.log.infoActive = essentia.log.warningActive = False
FRAMES, HOP, BATCH = 187, 93, 1  # larger batches are no faster on one core


def session(path: Path) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


class Plain:
    def __init__(self, models: Path) -> None:
        self.network = session(next((models / "embeddings").glob("*.onnx")))
        self.bands = es.TensorflowInputMusiCNN()

    def embeddings(self, path: str) -> np.ndarray:
        sound = es.MonoLoader(filename=path, sampleRate=16000, resampleQuality=4)()
        mel = np.array([self.bands(frame) for frame in es.FrameGenerator(sound, frameSize=512, hopSize=256)])
        patches = np.stack([mel[start : start + FRAMES] for start in range(0, len(mel) - FRAMES + 1, HOP)])
        found = [
            self.network.run(["activations", "embeddings"], {"melspectrogram": patches[first : first + BATCH]})[1]
            for first in range(0, len(patches), BATCH)
        ]
        return np.concatenate(found)


class TensorFlow:
    def __init__(self, frozen: Path) -> None:
        self.network = es.TensorflowPredictMusiCNN(
            graphFilename=str(frozen), input="model/Placeholder", output="model/dense/BiasAdd"
        )

    def embeddings(self, path: str) -> np.ndarray:
        return self.network(es.MonoLoader(filename=path, sampleRate=16000, resampleQuality=4)())


def main(side: str, models: str, frozen: str = "") -> None:
    network = Plain(Path(models)) if side == "plain" else TensorFlow(Path(frozen))
    heads = {path.name.partition("-")[0]: session(path) for path in sorted(Path(models, "heads").glob("*/*.onnx"))}
    print("ready", flush=True)
    for line in sys.stdin:
        began, used = time.perf_counter(), time.process_time()
        embeddings = network.embeddings(line.rstrip("\n"))
        scores = {name: head.run(None, {"embeddings": embeddings})[0] for name, head in heads.items()}
        answer = {
            "wall_s": time.perf_counter() - began,
            "cpu_s": time.process_time() - used,
            "patches": len(embeddings),
            "means": {name: score.mean(axis=0, dtype=np.float64).tolist() for name, score in scores.items()},
            "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        }
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
