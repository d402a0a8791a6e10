// How a sample of the data is named in an address.

// A sample's name over all sets: the same id may stand in two.
export function keyOfSample({ set, sample }) {
  return `${set} ${sample}`;
}
