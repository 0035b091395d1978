#!/usr/bin/python3
"""results.py FOLDER: sums up the layers of a test run.

Each layer left NAME.status (its exit status) and, if it got that far, NAME.xml (JUnit). Prints what
failed, a line per layer, and last "N passed, N failed[, N skipped]". Exits 1 unless all is well.
"""

import pathlib
import sys
import xml.etree.ElementTree as ET


class Layer:
    def __init__(self, folder, name):
        self.name, self.passed, self.skipped, self.failed = name, 0, 0, []
        status = int((folder / f'{name}.status').read_text())
        try:
            self._count(ET.parse(folder / f'{name}.xml'))
        except FileNotFoundError:
            pass
        except ET.ParseError as e:
            self.failed.append(f'unreadable results: {e}')
        if status and not self.failed:
            self.failed.append(f'ended with status {status}')
        if not status and not self.passed and not self.skipped:
            self.failed.append('ran no test')

    def _count(self, tree):
        for case in tree.iter('testcase'):
            bad = case.find('failure')
            if bad is None:
                bad = case.find('error')
            if bad is not None:
                reason = (bad.get('message') or '').strip().splitlines()
                title = '.'.join(filter(None, (case.get('classname'), case.get('name'))))
                self.failed.append(title + (f': {reason[0][:160]}' if reason else ''))
            elif case.find('skipped') is not None:
                self.skipped += 1
            else:
                self.passed += 1


def main():
    folder = pathlib.Path(sys.argv[1])
    order = sorted(folder.glob('*.status'), key=lambda p: p.stat().st_mtime_ns)
    layers = [Layer(folder, path.stem) for path in order]
    for layer in layers:
        for failure in layer.failed:
            print(f'FAILED {layer.name}: {failure}')
    for layer in layers:
        print(f'{layer.name:16} {layer.passed} passed, {len(layer.failed)} failed'
              + (f', {layer.skipped} skipped' if layer.skipped else ''))
    passed, skipped = sum(l.passed for l in layers), sum(l.skipped for l in layers)
    failed = sum(len(l.failed) for l in layers)
    print(f'{passed} passed, {failed} failed' + (f', {skipped} skipped' if skipped else ''))
    return 1 if failed or not passed else 0


sys.exit(main())
