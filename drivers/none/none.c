#include "machine-driver.h"
int main(void)
{
	return 1;
}
