/** The words of the filter: the table follows each key, the address when typing rests. */

import { useEffect, useRef, useState } from 'react';
import type { GuestSearch } from './filters';

const REST_MS = 200;

export function useWords(search: GuestSearch, onSearch: (search: GuestSearch) => void) {
  const inAddress = search.q ?? '';
  const [words, setWords] = useState(inAddress);
  /** What the address was last given from here. */
  const given = useRef(inAddress);
  const latest = useRef({ search, onSearch });
  useEffect(() => {
    latest.current = { search, onSearch };
  });
  useEffect(() => {
    if (inAddress === given.current) return;
    given.current = inAddress;
    setWords(inAddress);
  }, [inAddress]);
  useEffect(() => {
    if (words === given.current) return;
    const timer = setTimeout(() => {
      given.current = words;
      latest.current.onSearch({ ...latest.current.search, q: words || undefined });
    }, REST_MS);
    return () => clearTimeout(timer);
  }, [words]);
  return [words, setWords] as const;
}
