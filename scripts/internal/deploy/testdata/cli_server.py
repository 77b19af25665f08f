"""Runs commands of a CLI in processes forked from one that has it loaded.

A command of gcloud or AWS takes most of its second to load the CLI. The tests run
dozens; here each is the CLI's own main function, in a process of its own, with
nothing but that loading left out.

usage: python3 cli_server.py SOCKET gcloud SDK_ROOT
       python3 cli_server.py SOCKET aws

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


def load_aws():
    """Returns the AWS CLI's module main, with what every command needs loaded."""
    import awscli.clidriver
    session = awscli.clidriver.create_clidriver().session
    for service in ('iam', 'lambda', 'logs', 'sts'):
        session.create_client(service, region_name='eu-west-1')
    return awscli.clidriver


def load_gcloud(root):
    """Returns gcloud's module main, with what every command needs loaded."""
    sys.argv[0] = os.path.join(root, 'lib', 'gcloud.py')
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
        status = main.main() or 0
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
    serve({'aws': load_aws, 'gcloud': load_gcloud}[sys.argv[2]](*sys.argv[3:]), sys.argv[1])
