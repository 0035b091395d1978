"""A driver of cinder whose volumes are entries of the database and nothing else."""

from cinder.common import constants
from cinder import interface
from cinder.volume import driver

SIZE_GIB = 10000


@interface.volumedriver
class NothingDriver(driver.VolumeDriver):
    VERSION = '1.0'
    CI_WIKI_NAME = 'none'

    def do_setup(self, context):
        pass

    def check_for_setup_error(self):
        pass

    def get_volume_stats(self, refresh=False):
        return {'volume_backend_name': 'nothing', 'vendor_name': 'tests', 'driver_version': self.VERSION,
                'storage_protocol': constants.ISCSI, 'total_capacity_gb': SIZE_GIB, 'free_capacity_gb': SIZE_GIB,
                'reserved_percentage': 0, 'multiattach': False}

    def create_volume(self, volume):
        pass

    def delete_volume(self, volume):
        pass

    def clone_image(self, context, volume, image_location, image_meta, image_service):
        return {}, True # as if the storage had the image already

    def ensure_export(self, context, volume):
        pass

    def create_export(self, context, volume, connector):
        pass

    def remove_export(self, context, volume):
        pass

    def initialize_connection(self, volume, connector, **kwargs):
        return {'driver_volume_type': 'iscsi', 'data': {'access_mode': 'rw', 'volume_id': volume['id']}}

    def terminate_connection(self, volume, connector, **kwargs):
        pass
