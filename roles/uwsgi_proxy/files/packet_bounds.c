/* SPDX-FileCopyrightText: campus.flask_sso contributors */
/* SPDX-License-Identifier: GPL-3.0-or-later */
    /*
     * The packet's size, and the sizes of the names and values in it, travel in 16 bits. A packet that fits has no
     * name or value that does not, so this one check stands for all three.
     */
    if (headerlen - 4 > UINT16_MAX) {
        ap_log_rerror(APLOG_MARK, APLOG_ERR, 0, r,
                      "request variables take %" APR_SIZE_T_FMT " bytes, a uwsgi packet holds %d",
                      headerlen - 4, UINT16_MAX);
        return HTTP_REQUEST_HEADER_FIELDS_TOO_LARGE;
    }
