"""A model behind FastAPI as tutorials do it, as a peer: a pandas frame a request, given to the loaded pyfunc."""

import os
from typing import Any

import mlflow.pyfunc
import pandas as pd
from fastapi import FastAPI

app = FastAPI()
model = mlflow.pyfunc.load_model(os.environ["BENCH_MODEL_URI"])


@app.post("/predict")
def predict(body: dict[str, Any]) -> dict[str, list[float]]:
    frame = pd.DataFrame(body["dataframe_split"]["data"], columns=body["dataframe_split"]["columns"])
    return {"predictions": model.predict(frame)["probability"].tolist()}
