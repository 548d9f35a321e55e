// The token lives in this browser tab's session storage only: it is gone when the tab closes, and
// never in the URL, in a cookie or in GraphiQL's own storage.
import { useEffect, useState } from 'react';
import { probe } from './endpoint.js';

const key = 'cardea.token';

// What the status light shows, by what the last probe found.
export const lights = {
  missing: 'Sign in, or enter a token',
  signedIn: 'Signed in',
  checking: 'Checking',
  works: 'Connected',
  refused: 'Token refused',
  unreachable: 'Server unreachable',
};

// Without a token, the browser's session speaks for whoever is signed in.
const withoutToken = (light) => ({ works: 'signedIn', refused: 'missing' })[light] ?? light;

export function useToken() {
  const [token, setToken] = useState(() => sessionStorage.getItem(key) ?? '');
  const [found, setFound] = useState({ token: '', light: 'missing' });

  useEffect(() => {
    sessionStorage.setItem(key, token);
    const abandoned = new AbortController();
    const ask = async () => {
      const light = await probe(token, abandoned.signal).catch(() => 'unreachable');
      if (!abandoned.signal.aborted) setFound({ token, light: token ? light : withoutToken(light) });
    };
    const typed = setTimeout(ask, 250);
    const again = setInterval(ask, 15_000); // tokens are revoked, servers come and go
    return () => {
      clearTimeout(typed);
      clearInterval(again);
      abandoned.abort();
    };
  }, [token]);

  const light = found.token === token ? found.light : 'checking';
  return { token, light, setToken: (text) => setToken(text.trim()) };
}
