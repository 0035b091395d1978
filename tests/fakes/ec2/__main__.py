"""Serves a fake EC2 until it is interrupted, and tells how to use it."""

import argparse
import signal
import sys

from . import Ec2


def tell(ec2):
    for name, value in ec2.environment().items():
        print(f'export {name}={value}')
    print(f'export AWS_ENDPOINT_URL={ec2.url}')
    print(f'# image {ec2.image()}, subnet {ec2.subnet()}, VPC {ec2.default_vpc()}')
    print(f'# metadata {ec2.metadata_url}, container {ec2.container_url}', flush=True)


def log(request):
    print(f'{request.number} {request.action} {request.params} -> {request.status}', file=sys.stderr, flush=True)


def main():
    parser = argparse.ArgumentParser(prog='fakes.ec2', description=__doc__)
    parser.add_argument('--port', type=int, default=0)
    parser.add_argument('--lax', action='store_true', help='take what EC2 takes, though a driver should not')
    options = parser.parse_args()
    ec2 = Ec2(strict=not options.lax, port=options.port)
    ec2.faults.hook('*', 'answered', log, times=None)
    tell(ec2)
    signal.sigwait({signal.SIGINT, signal.SIGTERM})
    ec2.close()
    for line in ec2.violations + [f'left: {leak}' for leak in ec2.leaks()]:
        print(line, file=sys.stderr)


if __name__ == '__main__':
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    main()
