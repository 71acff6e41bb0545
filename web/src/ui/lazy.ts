/** Parts that bring a library along load when first shown. */
import { lazy } from "react";

export const SeriesChart = lazy(() => import("./chart/SeriesChart"));
export const FlowMap = lazy(() => import("./map/FlowMap"));
