"""The demo's model: how likely is it that a shopper clicks a recommended item?"""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import PolynomialFeatures, StandardScaler

INPUTS = ["price", "discount", "rating", "popularity", "basket_value", "hour"]


def load(data_dir: Path) -> pa.Table:
    """Read the clicks that the shop has seen."""
    return pyarrow.csv.read_csv(data_dir / "clicks.csv")


def train(table: pa.Table, seed: int, parameters: dict[str, float]) -> Pipeline:
    """Fit chances of a click on scaled inputs and their products."""
    features = np.column_stack([table[name].to_numpy() for name in INPUTS]).astype(float)
    model = make_pipeline(
        StandardScaler(),
        PolynomialFeatures(parameters["degree"], include_bias=False),
        LogisticRegression(C=parameters["regularisation"], max_iter=1000, random_state=seed),
    )
    return model.fit(features, table["clicked"].to_numpy())
