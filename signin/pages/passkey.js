// Asks an authenticator what the page asks, and sends what it answers.
'use strict';
(() => {
  const form = document.getElementById('answer');
  const field = document.getElementById('credential');
  const said = document.getElementById('said');

  // WebAuthn in JSON has bytes as base64url. Browsers convert them, but not all do yet.
  const bytes = (text) =>
    Uint8Array.from(atob(text.replace(/-/g, '+').replace(/_/g, '/')), (c) => c.charCodeAt(0));
  const text = (buffer) =>
    btoa(String.fromCharCode(...new Uint8Array(buffer)))
      .replace(/\+/g, '-').replace(/\//g, '_').replace(/=+$/, '');

  const options = JSON.parse(form.dataset.options);
  options.challenge = bytes(options.challenge);
  if (options.user) options.user.id = bytes(options.user.id);
  for (const known of options.excludeCredentials || []) known.id = bytes(known.id);

  const inJSON = ({ id, rawId, type, response }) => {
    const parts = {};
    for (const name of [
      'clientDataJSON', 'attestationObject', 'authenticatorData', 'signature', 'userHandle',
    ]) {
      if (response[name]) parts[name] = text(response[name]);
    }
    return JSON.stringify({ id, rawId: text(rawId), type, response: parts });
  };

  const ask = async () => {
    said.hidden = true;
    try {
      const verb = form.dataset.verb;
      const credential = await navigator.credentials[verb]({ publicKey: options });
      field.value = inJSON(credential);
      form.submit();
    } catch {
      said.hidden = false;
    }
  };
  form.addEventListener('submit', (event) => {
    event.preventDefault();
    ask();
  });
  ask();
})();
