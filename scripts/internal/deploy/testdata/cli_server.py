"""Runs commands of a CLI, one after the other, in one process that has it loaded.

A command of gcloud or AWS takes most of its second to load the CLI and what the
command is made of. The tests run dozens; here each is the CLI's own main function,
with nothing but that loading left out.

usage: python3 cli_server.py gcloud SDK_ROOT
       python3 cli_server.py aws

Each line of standard input is a JSON array of arguments, and each line of standard
output is what became of them: {"status": 0, "stdout": "…", "stderr": "…"}. The
server ends with its standard input.
"""

import json
import os
import sys
import tempfile
import traceback


def load_aws():
    """Returns the AWS CLI's main function, which shares its session."""
    import awscli.clidriver
    return awscli.clidriver.create_clidriver().main


def load_gcloud(root):
    """Returns gcloud's main function, which shares what is loaded of the CLI."""
    sys.argv[0] = os.path.join(root, 'lib', 'gcloud.py')
    lib = os.path.join(root, 'lib')
    sys.path[:0] = [lib, os.path.join(lib, 'third_party')]
    import gcloud
    sys.path = gcloud.reorder_sys_path(sys.path)
    gcloud._fix_google_module()
    main = gcloud._import_gcloud_main()
    cli = main.CreateCLI([])
    return lambda: main.main(cli)


def run(main, args):
    """Returns what became of one command."""
    written = []
    for number in (1, 2):
        written.append(tempfile.TemporaryFile())
        os.dup2(written[-1].fileno(), number)
    sys.argv[1:] = args
    try:
        status = main() or 0
    except SystemExit as end:
        status = end.code or 0
    except BaseException:
        traceback.print_exc()
        status = 1
    sys.stdout.flush()
    sys.stderr.flush()
    texts = []
    for file in written:
        file.seek(0)
        texts.append(file.read().decode())
        file.close()
    return {'status': status, 'stdout': texts[0], 'stderr': texts[1]}


def serve(main):
    with os.fdopen(os.dup(1), 'w') as answers:
        answers.write('"ready"\n')
        answers.flush()
        for line in os.fdopen(os.dup(0)):
            json.dump(run(main, json.loads(line)), answers)
            answers.write('\n')
            answers.flush()


if __name__ == '__main__':
    serve({'aws': load_aws, 'gcloud': load_gcloud}[sys.argv[1]](*sys.argv[2:]))
