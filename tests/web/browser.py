# SPDX-License-Identifier: Apache-2.0
"""Chromium without a screen, by the DevTools protocol over a pair of pipes; and the way to a UNIX
socket that it needs, as ssh -L would be it."""
import base64
import fcntl
import json
import os
import select
import shutil
import socket
import subprocess
import tempfile
import threading
import time

PROGRAMS = ('chromium', 'chromium-browser', 'google-chrome')
FLAGS = ['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
         '--disable-background-networking', '--disable-component-update', '--disable-sync',
         '--disable-extensions', '--disable-dev-shm-usage', '--hide-scrollbars', '--mute-audio', '--remote-debugging-pipe']
WAIT_S = 30


def program():
    return next((path for path in map(shutil.which, PROGRAMS) if path), None)


class Forward:
    """A TCP port of this machine that leads to a UNIX socket."""

    def __init__(self, path):
        self.path = path
        self.listener = socket.create_server(('127.0.0.1', 0))
        self.url = f'http://127.0.0.1:{self.listener.getsockname()[1]}/'
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.carry, args=(client,), daemon=True).start()

    def carry(self, client):
        with client, socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as server:
            try:
                server.connect(self.path)
                while self.both(client, server):
                    pass
            except OSError:
                pass

    @staticmethod
    def both(client, server):
        for ready in select.select([client, server], [], [])[0]:
            data = ready.recv(65536)
            if not data:
                return False
            (server if ready is client else client).sendall(data)
        return True

    def close(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()


class Browser:
    """One process; Tab is what tests use."""

    def __init__(self):
        self.profile = tempfile.mkdtemp(prefix='quoin-web-')
        theirs, self.to = self.pipe()
        self.back, their_end = self.pipe()
        self.process = subprocess.Popen(
            ['/bin/bash', '-c', f'exec "$@" 3<&{theirs} 4>&{their_end}', 'bash', program(), *FLAGS,
             f'--user-data-dir={self.profile}', 'about:blank'],
            pass_fds=(theirs, their_end), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL, env={**os.environ, 'HOME': self.profile})
        os.close(theirs)
        os.close(their_end)
        self.number = 0
        self.buffer = b''
        self.events = []

    @staticmethod
    def pipe():
        """Of numbers that are not in the way of 3 and 4."""
        ends = []
        for end in os.pipe():
            ends.append(fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, 20))
            os.close(end)
        return ends

    def read(self, end):
        while b'\0' not in self.buffer:
            ready = select.select([self.back], [], [], max(0, end - time.monotonic()))[0]
            data = os.read(self.back, 1 << 20) if ready else b''
            if not data:
                raise TimeoutError('the browser does not answer')
            self.buffer += data
        message, self.buffer = self.buffer.split(b'\0', 1)
        return json.loads(message)

    def call(self, method, params=None, session=None):
        self.number += 1
        message = {'id': self.number, 'method': method, 'params': params or {}}
        if session:
            message['sessionId'] = session
        data = json.dumps(message).encode() + b'\0'
        while data:
            data = data[os.write(self.to, data):]
        end = time.monotonic() + WAIT_S
        while True:
            answer = self.read(end)
            if answer.get('id') != self.number:
                self.events.append(answer)
            elif 'error' in answer:
                raise RuntimeError(f'{method}: {answer["error"]}')
            else:
                return answer['result']

    def close(self):
        self.process.kill()
        self.process.wait()
        os.close(self.to)
        os.close(self.back)
        shutil.rmtree(self.profile, ignore_errors=True)


class Tab:
    def __init__(self, browser, width=1280, height=900, dark=False):
        self.browser = browser
        context = browser.call('Target.createBrowserContext')['browserContextId']
        self.target = browser.call('Target.createTarget', {'url': 'about:blank',
                                                           'browserContextId': context})['targetId']
        self.session = browser.call('Target.attachToTarget', {'targetId': self.target,
                                                              'flatten': True})['sessionId']
        for domain in ('Page', 'Runtime', 'Log', 'Network'):
            self.call(domain + '.enable')
        self.look(width, height, dark)

    def call(self, method, params=None):
        return self.browser.call(method, params, self.session)

    def look(self, width, height, dark):
        self.call('Emulation.setDeviceMetricsOverride', {
            'width': width, 'height': height, 'deviceScaleFactor': 1, 'mobile': width < 600})
        self.call('Emulation.setEmulatedMedia', {'features': [
            {'name': 'prefers-color-scheme', 'value': 'dark' if dark else 'light'},
            {'name': 'prefers-reduced-motion', 'value': 'reduce'}]})

    def open(self, url):
        self.call('Page.navigate', {'url': url})

    def run(self, script):
        """The value of an expression in the page."""
        answer = self.call('Runtime.evaluate', {'expression': script, 'returnByValue': True,
                                                'awaitPromise': True})
        if 'exceptionDetails' in answer:
            raise RuntimeError(f'{script}: {answer["exceptionDetails"]}')
        return answer['result'].get('value')

    def text(self):
        return self.run('document.body ? document.body.innerText : ""')

    def wait(self, script, what=None):
        """Until the expression is true."""
        end = time.monotonic() + WAIT_S
        while time.monotonic() < end:
            value = self.run(script)
            if value:
                return value
            time.sleep(0.05)
        raise AssertionError(f'not seen: {what or script}\n{self.text()}')

    def wait_text(self, *words):
        for word in words:
            self.wait(f'document.body && document.body.innerText.includes({json.dumps(word)})', word)

    def click(self, selector):
        self.run(f'document.querySelector({json.dumps(selector)}).click()')

    def type(self, selector, text):
        self.run(f'document.querySelector({json.dumps(selector)}).focus()')
        self.call('Input.insertText', {'text': text})

    def complaints(self):
        """Errors and warnings of the console, and exceptions, since the tab is there."""
        self.call('Runtime.evaluate', {'expression': '0'})
        told = []
        for event in self.browser.events:
            if event.get('sessionId') != self.session:
                continue
            if event['method'] == 'Runtime.exceptionThrown':
                told.append(event['params']['exceptionDetails'])
            elif event['method'] == 'Log.entryAdded' and \
                    event['params']['entry']['level'] in ('error', 'warning'):
                told.append(event['params']['entry'])
            elif event['method'] == 'Runtime.consoleAPICalled':
                told.append(event['params'])
        return told

    def asked(self):
        """The addresses of all requests."""
        return [event['params']['request']['url'] for event in self.browser.events
                if event.get('sessionId') == self.session and
                event['method'] == 'Network.requestWillBeSent']

    def shot(self, path):
        """All of the page, as PNG."""
        size = self.call('Page.getLayoutMetrics')['cssContentSize']
        picture = self.call('Page.captureScreenshot', {
            'format': 'png', 'captureBeyondViewport': True,
            'clip': {'x': 0, 'y': 0, 'width': size['width'], 'height': size['height'],
                     'scale': 1}})['data']
        with open(path, 'wb') as file:
            file.write(base64.b64decode(picture))

    def close(self):
        self.browser.call('Target.closeTarget', {'targetId': self.target})
