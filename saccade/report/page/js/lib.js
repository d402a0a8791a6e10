// The two libraries of the page, as names that modules import.
export const { html, render, useState, useEffect, useMemo, useRef, useCallback, useErrorBoundary } = htmPreact;
export const Plot = uPlot;
