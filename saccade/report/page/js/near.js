// Whether an element is near the viewport: what is far off is not drawn and its picture is not asked for.

import { useEffect, useState } from "./lib.js";

// True from the moment that the element of `reference` comes within `margin` of the viewport; it stays true.
export function useNear(reference, margin = "400px") {
  const [isNear, setIsNear] = useState(false);
  useEffect(() => {
    if (isNear || !reference.current) return undefined;
    const seen = (entries) => entries.some((entry) => entry.isIntersecting) && setIsNear(true);
    const observer = new IntersectionObserver(seen, { rootMargin: margin });
    observer.observe(reference.current);
    return () => observer.disconnect();
  }, [isNear]);
  return isNear;
}

// Whether the page is as narrow as a phone.
export function useNarrow(width = 760) {
  const [isNarrow, setIsNarrow] = useState(() => innerWidth <= width);
  useEffect(() => {
    const query = matchMedia(`(max-width: ${width}px)`);
    const changed = () => setIsNarrow(query.matches);
    changed();
    query.addEventListener("change", changed);
    return () => query.removeEventListener("change", changed);
  }, [width]);
  return isNarrow;
}
