"""Runs gcloud commands in processes forked from one that has gcloud loaded.

A gcloud command takes most of its second to load gcloud. The tests run more
than a hundred; here each is gcloud's own main function, in a process of its
own, with nothing but that loading left out.

usage: python3 gcloud_server.py SDK_ROOT SOCKET

A client connects, sends one line of JSON, {"args": […], "stdout": PATH,
"stderr": PATH}, and reads the exit status. The server ends when its standard
input does.
"""

import json
import os
import select
import signal
import socket
import sys
import traceback


def load(root):
    """Returns gcloud's module main, with what every command needs loaded."""
    lib = os.path.join(root, 'lib')
    sys.path[:0] = [lib, os.path.join(lib, 'third_party')]
    import gcloud
    sys.path = gcloud.reorder_sys_path(sys.path)
    gcloud._fix_google_module()
    main = gcloud._import_gcloud_main()
    main.CreateCLI([])
    import googlecloudsdk.calliope.concepts.concepts
    import googlecloudsdk.core.credentials.transports
    import googlecloudsdk.core.resources
    return main


def run(main, connection):
    """Runs one command in this process, which is its alone, and ends."""
    request = json.loads(connection.makefile().readline())
    for number, name in ((1, 'stdout'), (2, 'stderr')):
        os.dup2(os.open(request[name], os.O_WRONLY | os.O_CREAT, 0o600), number)
    sys.argv[1:] = request['args']
    status = 0
    try:
        main.main()
    except SystemExit as end:
        status = end.code or 0
    except BaseException:
        traceback.print_exc()
        status = 1
    sys.stdout.flush()
    sys.stderr.flush()
    connection.sendall(b'%d\n' % status)
    os._exit(0)


def serve(main, path):
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for them
    print('ready', flush=True)
    while True:
        ready, _, _ = select.select([listener, sys.stdin], [], [])
        if sys.stdin in ready:
            return
        connection, _ = listener.accept()
        if os.fork() == 0:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            run(main, connection)
        connection.close()


if __name__ == '__main__':
    sys.argv[0] = os.path.join(sys.argv[1], 'lib', 'gcloud.py')
    serve(load(sys.argv[1]), sys.argv[2])
