/*
 * Where the program's own container image is.
 */
#ifndef HMS_IMAGE_PATH_H
#define HMS_IMAGE_PATH_H

/*
 * hms-image.tar beside the running program, as a build leaves it; if there is none, where an
 * installation has it: share/hms/hms-image.tar beside the program's folder. Whether that one exists
 * is not looked at. A new string.
 */
char *hms_image_path(void);

#endif
